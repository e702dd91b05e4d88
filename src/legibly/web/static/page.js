// On every page: the list of keys, whether single keys work at all, and the uploads that go on.
import { $, $$, asCards, askFirst, keysEnabled, onKey, when } from "./dom.js";

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
for (const time of $$("time[datetime]")) time.textContent = when(time.dateTime); // the reader's zone
$$("table.list").forEach(asCards);
askFirst();
if ("owner" in document.body.dataset) {
  if ($("#queue, #form-scan")) import("./uploads.js");
  else import("./files.js").then(({ acceptAnywhere }) => acceptAnywhere());
}
