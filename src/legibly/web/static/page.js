// On every page: the list of keys, whether single keys work at all, and the uploads that go on.
import { $, keysEnabled, onKey } from "./dom.js";

const help = $("#keys");
const box = $("#keys-wanted");
if (help) {
  const open = () => {
    help.showModal();
    return true;
  };
  box.checked = keysEnabled();
  box.addEventListener("change", () =>
    localStorage.setItem("legibly-keys", box.checked ? "on" : "off"),
  );
  $("#keys-open").addEventListener("click", open);
  onKey((event, command) => !command && event.key === "?" && open());
}
if ("owner" in document.body.dataset) {
  if ($("#queue")) import("./uploads.js");
  else import("./files.js").then(({ acceptAnywhere }) => acceptAnywhere());
}
