// A button beside each password that shows it, so that nobody has to type it twice.
htmx.onLoad((root) => {
  for (const input of root.querySelectorAll("input[type=password]")) {
    if (input.closest(".password")) continue;
    const box = document.createElement("span");
    box.className = "password";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button--quiet password__toggle";
    button.textContent = "Show";
    button.setAttribute("aria-label", "Show the password");
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-controls", input.id);
    const show = (shown) => {
      input.type = shown ? "text" : "password";
      button.textContent = shown ? "Hide" : "Show";
      button.setAttribute("aria-pressed", String(shown));
    };
    button.addEventListener("click", () => show(input.type === "password"));
    // Sent as a password, or the browser offers it as text to complete next time.
    input.form?.addEventListener("submit", () => show(false));
    const hadFocus = document.activeElement === input;
    input.replaceWith(box);
    box.append(input, button);
    if (hadFocus) input.focus();
  }
});
