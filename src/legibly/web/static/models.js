// Changing the model in use, for administrators; what the server refuses can be done with a reason.
import * as api from "./api.js";
import { $, $$, toast } from "./dom.js";

async function change(model, kind, body) {
  for (const button of $$("button[data-change]")) button.disabled = true;
  try {
    await api.changeModel(model, kind, body);
    location.reload();
  } finally {
    for (const button of $$("button[data-change]")) button.disabled = false;
  }
}

/** The server says what is not shown; a reason may stand in for it. */
function askWhy(model, message) {
  const form = $(`form.unproved[data-model="${CSS.escape(model)}"]`);
  $(".note", form).textContent = message;
  form.hidden = false;
  $("input", form).focus();
}

for (const button of $$("button[data-change]"))
  button.addEventListener("click", async () => {
    const { model, change: kind, share } = button.dataset;
    const body = share === undefined ? {} : { share: Number(share) };
    try {
      await change(model, kind, body);
    } catch (error) {
      if (kind === "promote" && [400, 409].includes(error.status)) askWhy(model, error.message);
      else toast(error.message);
    }
  });

for (const form of $$("form.unproved"))
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await change(form.dataset.model, "promote", { reason: form.elements.reason.value.trim() });
    } catch (error) {
      toast(error.message);
    }
  });
