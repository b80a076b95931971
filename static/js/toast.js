/* Messages: what went well leaves by itself, what needs the reader stays. Anything may send one:
   document.dispatchEvent(new CustomEvent("toast", { detail: { text, level } })), or the server by `HX-Trigger`. */
(() => {
    "use strict";
    const SHOWN_MS = 7000;
    const QUIET_MS = 30000; // a page that polls says once that the server is away
    const region = document.querySelector("[data-toasts]");
    const icons = { success: "succeeded", warning: "alert", error: "failed", info: "info" };
    const words = { success: "Done", warning: "Warning", error: "Error", info: "Note" };
    let complainedAt = -QUIET_MS;

    function leave(toast) {
        toast.dataset.leaving = "";
        setTimeout(() => toast.remove(), 250);
    }

    function settle(toast) {
        if (toast.matches(".toast--error, .toast--warning")) return;
        let timer = setTimeout(leave, SHOWN_MS, toast);
        const hold = () => clearTimeout(timer);
        const go = () => {
            hold();
            timer = setTimeout(leave, SHOWN_MS / 2, toast);
        };
        toast.addEventListener("pointerenter", hold);
        toast.addEventListener("focusin", hold);
        toast.addEventListener("pointerleave", go);
        toast.addEventListener("focusout", go);
    }

    function icon(name, label) {
        const sprite = document.querySelector("svg use").getAttribute("href").split("#")[0];
        const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        svg.setAttribute("class", "icon");
        svg.setAttribute("viewBox", "0 0 20 20");
        if (label) {
            svg.setAttribute("role", "img");
            svg.setAttribute("aria-label", label);
        } else svg.setAttribute("aria-hidden", "true");
        svg.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
        svg.firstChild.setAttribute("href", `${sprite}#${name}`);
        return svg;
    }

    function show(text, level) {
        const toast = document.createElement("div");
        toast.className = `toast toast--${level}`;
        toast.dataset.toast = "";
        const words_ = document.createElement("p");
        words_.className = "toast__text";
        words_.textContent = text;
        const close = document.createElement("button");
        close.type = "button";
        close.className = "button button--quiet button--icon toast__close";
        close.setAttribute("aria-label", "Dismiss");
        close.append(icon("close"));
        toast.append(icon(icons[level], words[level]), words_, close);
        region.append(toast);
        settle(toast);
    }

    function complain(text) {
        if (performance.now() - complainedAt < QUIET_MS) return;
        complainedAt = performance.now();
        show(text, "error");
    }

    document.addEventListener("click", (event) => {
        const toast = event.target.closest(".toast__close")?.closest("[data-toast]");
        if (toast) leave(toast);
    });
    document.addEventListener("toast", (event) => {
        const { text = "", level = "info" } = event.detail || {};
        show(text, level in icons ? level : "info");
    });
    document.addEventListener("htmx:sendError", () => complain("The server cannot be reached. The page goes on trying."));
    document.addEventListener("htmx:responseError", (event) => {
        const status = event.detail.xhr.status;
        if (status === 401 || status === 403) complain("You may not do that, or you are no longer signed in. Reload the page.");
        else if (status === 404) complain("That is not there any more. Reload the page.");
        else if (status === 429) complain("That was too often in a short time. Wait a minute.");
        else if (status === 503) complain("The server is busy. The page goes on trying.");
        else complain(`The server could not do that (${status}). Try again; if it stays so, tell the operator.`);
    });
    for (const toast of region.querySelectorAll("[data-toast]")) settle(toast);
})();
