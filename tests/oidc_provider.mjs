// A real OpenID provider on loopback:
//     node oidc_provider.mjs PORT ADDRESS-OF-LEGIBLY SECONDS-THAT-A-CODE-HOLDS
// People are who they say they are, with an address at school.example, unless they are called
// mallory. The key is a new one at every start.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const [port, legibly, seconds] = process.argv.slice(2);
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
  format: "jwk",
});

const claims = (id) => ({
  sub: id,
  name: `${id} of school`,
  email: `${id}@${id === "mallory" ? "evil" : "school"}.example`,
  email_verified: true,
});
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "legibly",
      client_secret: "a secret of tests & more",
      redirect_uris: [`${legibly}/login/oidc/back`],
      post_logout_redirect_uris: [`${legibly}/login`],
    },
  ],
  claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
  cookies: { keys: ["tests"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => claims(id) }),
  jwks: { keys: [{ ...key, kid: randomUUID(), use: "sig", alg: "RS256" }] },
  pkce: { required: () => true },
  ttl: {
    AuthorizationCode: Number(seconds),
    AccessToken: 60,
    IdToken: 60,
    Interaction: 600,
    Session: 600,
    Grant: 600,
  },
});
provider.listen(Number(port), "127.0.0.1");
