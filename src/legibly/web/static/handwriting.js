// The report prints; one that takes long to count is fetched after the page is there.
import { ask } from "./api.js";
import { $ } from "./dom.js";

$("#print")?.addEventListener("click", () => print());
const counting = $("#counting");
if (counting) {
  const { writer } = counting.dataset;
  const query = writer ? `?${new URLSearchParams({ writer })}` : "";
  try {
    const response = await ask(`/handwriting/report${query}`);
    $("#report").innerHTML = await response.text(); // our own server's markup
  } catch (error) {
    counting.textContent = error.message;
  }
}
