/* Opens a <dialog> from a link to it: <a href="#delete" data-dialog>. Without script the link shows it in the page. */
(() => {
    "use strict";
    document.addEventListener("click", (event) => {
        const opener = event.target.closest("[data-dialog]");
        if (opener) {
            const name = opener.dataset.dialog || opener.hash.slice(1);
            const dialog = document.getElementById(name);
            if (!dialog?.showModal) return;
            event.preventDefault();
            dialog.showModal();
        } else if (event.target.closest("[data-dialog-close]")) {
            const dialog = event.target.closest("dialog");
            if (!dialog.open) return; // shown as the target of a link: following "#" takes it away
            event.preventDefault();
            dialog.close();
        } else if (event.target.matches("dialog.dialog[open]")) event.target.close(); // the backdrop
    });
    document.addEventListener("keydown", (event) => {
        if (event.key === " " && event.target.matches("a[data-dialog], a[data-dialog-close]")) {
            event.preventDefault();
            event.target.click();
        }
    });
    htmx.onLoad((part) => {
        for (const opener of part.querySelectorAll("a[data-dialog], a[data-dialog-close]")) {
            opener.setAttribute("role", "button");
            if (opener.matches("[data-dialog]")) opener.setAttribute("aria-haspopup", "dialog");
        }
    });
})();
