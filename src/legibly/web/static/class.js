// A teacher's table: it follows what the pupils write.
import { ask } from "./api.js";
import { $, $$, asCards, debounce } from "./dom.js";
import { follow } from "./live.js";

const place = $("#table");
const refresh = debounce(async () => {
  if (place.querySelector("details[open]") || place.contains(document.activeElement)) return;
  try {
    const response = await ask(`/classes/${place.dataset.class}/table`);
    place.innerHTML = await response.text(); // our own server's markup
    $$("table.list", place).forEach(asCards);
  } catch {
    /* the next change asks again */
  }
}, 1000);
$("#print")?.addEventListener("click", () => print());
follow((image) => image.state === "read" && refresh(), refresh, refresh);
setInterval(refresh, 15_000); // somebody who has joined, and written nothing yet
