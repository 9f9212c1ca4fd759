// Enhancements of the pages. Every page works without this file.
(() => {
  "use strict";

  const WAIT_BEFORE_SPINNER = 150;
  const LONGEST_WAIT = 20000;
  const busy = new Map();

  // A pressed button is disabled until its response arrives, and shows a spinner after WAIT_BEFORE_SPINNER. The rest
  // of the page stays usable.
  function wait(button) {
    if (!button || busy.has(button)) return;
    const focused = document.activeElement === button;
    const top = button.getBoundingClientRect().top;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    busy.set(button, {
      focused,
      top,
      spinner: setTimeout(() => button.classList.add("is-waiting"), WAIT_BEFORE_SPINNER),
      release: setTimeout(() => release(button), LONGEST_WAIT),
    });
  }

  function release(button) {
    const state = busy.get(button);
    if (!state) return;
    busy.delete(button);
    clearTimeout(state.spinner);
    clearTimeout(state.release);
    button.disabled = false;
    button.removeAttribute("aria-busy");
    button.classList.remove("is-waiting");
    const refusal = !button.isConnected && document.querySelector("[data-refusal]");
    if (refusal) {
      showRefusal(refusal, state.top);
      return;
    }
    // If the response replaced the button, focus the element with its id.
    const here = button.isConnected ? button : button.id && document.getElementById(button.id);
    if (state.focused && here && document.activeElement === document.body) here.focus({ preventScroll: true });
  }

  // A refusal stands at the place of the pressed button and takes the focus at once, so that neither the finger nor the
  // Enter key pays for something else.
  function showRefusal(refusal, top) {
    refusal.removeAttribute("data-refusal");
    window.scrollBy({ top: refusal.getBoundingClientRect().top - top, behavior: "instant" });
    refusal.focus();
  }

  // The Enter key presses a form's hidden first button, if it has one; the button that is seen waits in its place.
  const submitterOf = (event, form) => (event?.submitter?.matches(":not([data-default])") && event.submitter)
    || form.querySelector(":is(button[type=submit], button:not([type])):not([data-default], [formaction])");
  const isHtmx = (form) => form.matches("[hx-post], [hx-get], [hx-put], [hx-patch], [hx-delete]");

  // Plain forms. Disable the button after the event: the browser omits the name and value of a disabled button.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const closesDialog = (event.submitter?.formMethod || form.method) === "dialog";
    if (event.defaultPrevented || isHtmx(form) || form.matches("[data-download]") || closesDialog) return;
    const button = submitterOf(event, form);
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "true";
    setTimeout(() => delete form.dataset.sent, LONGEST_WAIT);
    setTimeout(() => wait(button), 0);
  });

  // The second click of a double click may hit the element that replaced the button, such as another payment's button.
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest("form[method=post] button")) event.preventDefault();
  }, true);

  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    for (const button of [...busy.keys()]) release(button);
  });

  // htmx forms and buttons. A form that submits while the user types (a preview) has no pressed button.
  const pressed = new WeakMap();
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt, requestConfig, xhr } = event.detail;
    const cause = requestConfig.triggeringEvent;
    const button = elt.matches("form")
      ? cause?.type === "submit" && submitterOf(cause, elt)
      : elt.matches("button") && elt;
    if (!button) return;
    pressed.set(xhr, button);
    wait(button);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const button = pressed.get(event.detail.xhr);
    if (button) release(button);
  });

  // A confirmation arrives as a dialog; open it after the swap.
  document.addEventListener("htmx:afterSettle", () => {
    for (const dialog of document.querySelectorAll("dialog[data-open]:not([open])")) {
      dialog.removeAttribute("data-open");
      dialog.showModal();
    }
  });

  // Typing an amount selects its radio button.
  document.addEventListener("input", (event) => {
    const chosen = event.target.dataset.chooses && document.getElementById(event.target.dataset.chooses);
    if (chosen) chosen.checked = true;
  });

  // Selected rows of a list: the button counts them, and the box in the head selects all.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-selection]");
    if (!form) return;
    const boxes = [...form.querySelectorAll("input[type=checkbox][name]:not(:disabled)")];
    const all = form.querySelector("[data-select-all]");
    if (event.target === all) for (const box of boxes) box.checked = all.checked;
    const count = boxes.filter((box) => box.checked).length;
    all.checked = count > 0 && count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
    const button = form.querySelector("[data-counted]");
    const label = button.querySelector(".btn-label");
    label.dataset.before ??= label.textContent;
    label.textContent = count ? button.dataset.counted.replace("{count}", count) : label.dataset.before;
  });

  // A choice fills a field and tells it, as typing would.
  document.addEventListener("click", (event) => {
    const choice = event.target.closest("[data-fill]");
    if (!choice) return;
    event.preventDefault();
    const field = document.getElementById(choice.dataset.fill);
    field.value = choice.dataset.value;
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // Usual terms fill several fields. One event tells that they changed.
  document.addEventListener("click", (event) => {
    const terms = event.target.closest("[data-fill-form]");
    if (!terms) return;
    event.preventDefault();
    const { elements } = terms.form;
    for (const [name, value] of Object.entries(JSON.parse(terms.dataset.fillForm))) elements[name].value = value;
    terms.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // While a button is pressed, no preview may move it: the release would miss it, and the browser would drop the click.
  let isPressed = false;
  document.addEventListener("pointerdown", (event) => {
    isPressed = event.target.closest("button") !== null;
  }, true);
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => setTimeout(() => { isPressed = false; showFaults(); }), true);
  }
  document.addEventListener("htmx:beforeSwap", (event) => {
    const cause = event.detail.requestConfig.triggeringEvent?.type;
    if (isPressed && ["input", "change"].includes(cause)) event.detail.shouldSwap = false;
  });
  // A form that was sent leads to a page of its own. A preview's answer that comes meanwhile leads nowhere else.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.elt.closest("form")?.dataset.sent) event.preventDefault();
  });

  // The preview's faults stand at their fields as soon as these are left, and go once they are mended. An empty field
  // keeps the error that it came with. A preview may settle while a button is pressed: its faults wait for the release.
  const showFaults = () => {
    const preview = document.querySelector("[data-faults]");
    if (!preview || isPressed) return;
    const faults = JSON.parse(preview.dataset.faults);
    preview.removeAttribute("data-faults");
    for (const field of document.querySelectorAll(".field[id$='-field']")) {
      const id = field.id.slice(0, -6);
      const input = document.getElementById(id);
      if (!input) continue;
      let error = document.getElementById(`${id}-error`);
      if (!faults[id] && error && input.value.trim()) {
        error.remove();
        field.classList.remove("field-wrong");
        input.removeAttribute("aria-invalid");
        const summary = document.querySelector("[data-error-summary]");
        summary?.querySelector(`a[href="#${id}"]`)?.closest("li").remove();
        if (!summary?.querySelector("li")) summary?.remove();
      } else if (faults[id] && (error || input !== document.activeElement)) {
        if (!error) {
          error = document.getElementById("fault").content.firstElementChild.cloneNode(true);
          error.id = `${id}-error`;
          field.append(error);
          field.classList.add("field-wrong");
          input.setAttribute("aria-invalid", "true");
          const help = document.getElementById(`${id}-help`) ? `${id}-help ` : "";
          input.setAttribute("aria-describedby", `${help}${id}-error`);
        }
        error.querySelector("span").textContent = faults[id];
      }
    }
  };
  document.addEventListener("htmx:afterSettle", showFaults);

  // The error summary takes the focus, on a new page and after a swap.
  const focusSummary = (root) => root.querySelector?.("[data-error-summary]")?.focus();
  // So does the outcome of a payment that was being checked, unless the focus is elsewhere on the page.
  document.addEventListener("htmx:afterSettle", () => {
    const outcome = document.querySelector("[data-outcome]");
    if (outcome && document.activeElement === document.body) outcome.focus();
  });
  document.addEventListener("htmx:afterSettle", (event) => focusSummary(event.detail.elt?.parentElement || document));
  // On a new page autofocus does this, except when the address has a fragment (#...).
  window.addEventListener("load", () => {
    setTimeout(() => {
      if (document.activeElement !== document.body) return;
      focusSummary(document);
      // What was done before this page takes the focus as errors do.
      if (document.activeElement === document.body) document.querySelector("#flashes > .notice-success")?.focus();
    }, 50);
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      if (dialog?.showModal) {
        event.preventDefault();
        if (!dialog.open) dialog.showModal();
      }
      return;
    }

    const copier = event.target.closest("[data-copy]");
    if (copier) {
      copy(copier);
      return;
    }

    const revealer = event.target.closest("[data-reveal]");
    if (revealer) {
      reveal(revealer);
      return;
    }

    const sharer = event.target.closest("[data-share]");
    if (sharer) {
      navigator.share({ text: sharer.dataset.share, url: sharer.dataset.shareUrl }).catch(() => {});
      return;
    }

    if (event.target.matches("dialog[open]")) {
      const box = event.target.getBoundingClientRect();
      const beside = event.clientX < box.left || event.clientX > box.right;
      const aboveOrBelow = event.clientY < box.top || event.clientY > box.bottom;
      if ((beside || aboveOrBelow) && event.clientX + event.clientY > 0) event.target.close();
    }

    for (const menu of document.querySelectorAll("[data-menu][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("[data-menu][open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  // An open home or plan page asks every few seconds whether it is out of date, and then shows its new content. A
  // hidden tab does not ask. While the reader types, has chosen something or has a dialog or menu open, the page stays.
  const LIVE_INTERVAL = 8000;
  let failures = 0;
  setInterval(async () => {
    const mark = document.querySelector("[data-live]");
    const isBusy = document.querySelector("dialog[open], details[data-menu][open], #main :focus-visible")
      || busy.size || !getSelection().isCollapsed;
    if (!mark || document.hidden || isBusy || failures > 5) return;
    try {
      const address = `${mark.dataset.live}?seen=${encodeURIComponent(mark.dataset.seen)}`;
      const response = await fetch(address, { redirect: "error" });
      failures = response.ok ? 0 : failures + 1;
      if (response.status !== 200 || !mark.isConnected) return;
      mark.dataset.seen = await response.text();
      htmx.ajax("GET", location.href, { target: "#main", select: "#main", swap: "outerHTML" });
    } catch {
      failures += 1;
    }
  }, LIVE_INTERVAL);

  // "/" and Ctrl+K lead to the search: to the page's own field, otherwise to the page of the search.
  document.addEventListener("keydown", (event) => {
    const slash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey;
    const isShortcut = slash || (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey));
    if (!isShortcut || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (slash && event.target.closest("input, textarea, select, [contenteditable]")) return;
    const field = slash && document.getElementById("search");
    const page = document.querySelector('a[href$="/search"]');
    if (!field && !page) return;
    event.preventDefault();
    if (field) field.focus();
    else page.click();
  });

  // A menu closes when the focus leaves it.
  document.addEventListener("focusout", (event) => {
    const menu = event.target.closest("[data-menu][open]");
    if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });

  // Where the device can share, the buttons that do it are shown.
  if (navigator.share) {
    const show = () => {
      for (const button of document.querySelectorAll("[data-share]")) button.hidden = false;
    };
    show();
    document.addEventListener("htmx:afterSettle", show);
  }

  // Show a password, or hide it again. It is hidden when its form is sent, so that browsers know it as a password.
  function reveal(button, shown = document.getElementById(button.dataset.reveal).type === "password") {
    const label = button.querySelector(".btn-label");
    label.dataset.show ??= label.textContent;
    document.getElementById(button.dataset.reveal).type = shown ? "text" : "password";
    label.textContent = shown ? button.dataset.hide : label.dataset.show;
  }
  document.addEventListener("submit", (event) => {
    for (const button of event.target.querySelectorAll("[data-reveal]")) reveal(button, false);
  }, true);

  // A form that was not filled yet suggests the browser's time zone, and the currency of its country.
  for (const select of document.querySelectorAll("select[data-suggest-zone]")) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const option = [...select.options].find((choice) => choice.value === zone);
    if (!option) continue;
    option.selected = true;
    if (option.dataset.currency) select.form.elements.home_currency.value = option.dataset.currency;
  }

  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    const label = button.querySelector(".btn-label") || button;
    const before = (label.dataset.before ??= label.textContent);
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent);
    } catch {
      source.select?.();
      if (!document.execCommand("copy")) return;
    }
    label.textContent = button.dataset.copied;
    label.setAttribute("role", "status");
    setTimeout(() => (label.textContent = before), 2000);
  }

  // Switch the theme at once; the server stores the choice in a cookie.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-theme-switch]") || !event.submitter) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const theme = event.submitter.value;
    const body = new FormData(form, event.submitter);
    fetch(form.action, { method: "POST", body, redirect: "manual", keepalive: true }).catch(() => {});
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    for (const choice of document.querySelectorAll("[data-theme-switch] button")) {
      choice.setAttribute("aria-pressed", String(choice.value === theme));
    }
  }, true);
})();
