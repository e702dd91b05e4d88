// The one thing on this page that needs a script.
document.querySelector("#print")?.addEventListener("click", () => print());
