/* Ctrl-K or ⌘K: a dialog that finds pages, services and jobs. The list is the server's; the keys are ours. */
(() => {
    "use strict";
    const dialog = document.getElementById("palette");
    if (!dialog) return;
    const input = dialog.querySelector("input");
    const results = dialog.querySelector("#palette-results");
    const options = () => [...results.querySelectorAll("[role=option]")];
    let answered = null; // the words that the list answers
    let goes = false; // Enter was pressed before the answer was here

    function open() {
        if (dialog.open) return;
        goes = false;
        document.getElementById("sidebar")?.matches(":popover-open") && document.getElementById("sidebar").hidePopover();
        dialog.showModal();
        input.select();
        htmx.trigger(input, "palette:open");
    }

    function select(option) {
        for (const each of options()) each.setAttribute("aria-selected", String(each === option));
        if (option) {
            input.setAttribute("aria-activedescendant", option.id);
            option.scrollIntoView({ block: "nearest" });
        } else input.removeAttribute("aria-activedescendant");
    }

    document.addEventListener("keydown", (event) => {
        if (event.key.toLowerCase() === "k" && (event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey) {
            event.preventDefault();
            if (dialog.open) dialog.close();
            else open();
        }
    });
    document.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || !event.target.closest("[data-palette]")) return;
        event.preventDefault();
        open();
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("pointermove", (event) => {
        const option = event.target.closest("[role=option]");
        if (option && option.getAttribute("aria-selected") !== "true") select(option);
    });
    function go() {
        goes = false;
        (options().find((each) => each.getAttribute("aria-selected") === "true") || options()[0])?.click();
    }
    dialog.querySelector("form").addEventListener("submit", (event) => {
        event.preventDefault();
        if (input.value === answered) go();
        else goes = true;
    });
    input.addEventListener("input", () => (goes = false));
    input.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && !event.isComposing) {
            event.preventDefault(); // a search field would take the first Escape to empty itself
            return dialog.close();
        }
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const all = options();
        const place = all.findIndex((each) => each.getAttribute("aria-selected") === "true");
        select(all[(place + step + all.length) % all.length]);
    });
    results.addEventListener("htmx:afterSwap", (event) => {
        answered = event.detail.requestConfig.parameters.q ?? "";
        for (const [number, option] of options().entries()) option.id = `palette-option-${number}`;
        select(options()[0]);
        if (goes && dialog.open && input.value === answered) go();
    });
})();
