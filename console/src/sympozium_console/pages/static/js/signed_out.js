// A session that has ended: a dialog over the page signs in again, and what was typed stays. Without scripts the sign-in is a page.

const dialog = document.querySelector("#signed-out");
/** What is done once the session is there again. */
let again = () => {};

/** @param {() => void} next */
function ask(next) {
  if (!(dialog instanceof HTMLDialogElement)) return;
  again = next;
  if (!dialog.open) dialog.showModal();
}

/** Return true while the browser has a session. A console that does not answer is another matter: then the change itself says so. */
async function isSignedIn() {
  try {
    return (await fetch("/api/v1/version", { headers: { Accept: "application/json" } })).status !== 401;
  } catch {
    return true;
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.method !== "post" || form.closest("#signed-out, #account")) return;
  if (!dialog || event.defaultPrevented || form.dataset.isSignedIn) return;
  event.preventDefault();
  const submitter = event instanceof SubmitEvent ? event.submitter : null;
  const submit = () => {
    form.dataset.isSignedIn = "true";
    form.requestSubmit(submitter);
    delete form.dataset.isSignedIn;
  };
  if (await isSignedIn()) submit();
  else ask(submit);
});

document.addEventListener("htmx:before:response", (event) => {
  const status = /** @type {CustomEvent} */ (event).detail.ctx.response.status;
  if (status !== 401) return;
  event.preventDefault();
  ask(() => location.reload());
});

// A sign-in in another tab, as at an issuer, counts as soon as this page is seen again.
document.addEventListener("visibilitychange", async () => {
  if (document.hidden || !(dialog instanceof HTMLDialogElement) || !dialog.open || !(await isSignedIn())) return;
  dialog.close();
  again();
});

dialog?.querySelector("form")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.target);
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) fields.append(name, String(value));
  const answer = await fetch("/login", { method: "POST", body: fields, redirect: "manual" });
  const fault = form.querySelector("[role=alert]");
  if (answer.type === "opaqueredirect") {
    form.reset();
    if (fault) fault.textContent = "";
    if (dialog instanceof HTMLDialogElement) dialog.close();
    again();
  } else if (fault) {
    fault.textContent = "This credential is not valid here.";
  }
});
