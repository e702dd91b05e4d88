// On every page: the list of keys, and whether single keys work at all.
import { $, keysWanted, onKey } from "./dom.js";

const help = $("#keys"),
  box = $("#keys-wanted");
if (help) {
  const open = () => (help.showModal(), true);
  box.checked = keysWanted();
  box.addEventListener("change", () =>
    localStorage.setItem("legibly-keys", box.checked ? "on" : "off"),
  );
  $("#keys-open").addEventListener("click", open);
  onKey((event, command) => !command && event.key === "?" && open());
}
