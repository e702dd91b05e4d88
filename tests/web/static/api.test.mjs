import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

const api = await load("api.js", { "./dom.js": "export const say = (key) => key;" });

/** A response whose connection is lost within its body. */
const torn = () =>
  new Response(
    new ReadableStream({ pull: (controller) => controller.error(new TypeError("lost")) }),
    { status: 201 },
  );

test("a connection that is lost within the answer is tried again under the same name", async () => {
  const names = [];
  globalThis.fetch = async (_, { headers }) => {
    names.push(headers["Idempotency-Key"]);
    return names.length === 1 ? torn() : Response.json({ id: "7" }, { status: 201 });
  };
  assert.deepEqual(await api.send(new Blob(["7"]), { tries: 2 }), { id: "7" });
  assert.equal(names.length, 2);
  assert.equal(names[0], names[1]);
});

test("a connection that stays lost is a problem without a status", async () => {
  globalThis.fetch = async () => torn();
  await assert.rejects(api.ask("/", { tries: 1 }), { status: 0, message: "error_offline" });
});

test("an answer without a body is one", async () => {
  globalThis.fetch = async () => new Response(null, { status: 204 });
  assert.equal((await api.ask("/")).status, 204);
});
