/* The frame: theme choice, drawer, menus, shortcuts. All of it works without this file; here it gets its manners. */
(() => {
    "use strict";
    const root = document.documentElement;
    const isApple = /Mac|iP(hone|ad|od)/.test(navigator.platform);

    function storedTheme() {
        try {
            return localStorage.getItem("theme") || "system";
        } catch {
            return "system";
        }
    }

    function chooseTheme(theme) {
        if (theme === "system") delete root.dataset.theme;
        else root.dataset.theme = theme;
        try {
            if (theme === "system") localStorage.removeItem("theme");
            else localStorage.setItem("theme", theme);
        } catch {
            // It holds for this page only.
        }
        showTheme();
    }

    function showTheme() {
        for (const input of document.querySelectorAll("[data-theme-choice] input")) {
            input.checked = input.value === (root.dataset.theme || "system");
        }
    }

    document.addEventListener("change", (event) => {
        if (event.target.closest("[data-theme-choice]")) chooseTheme(event.target.value);
        if (event.target.closest("[data-submit-on-change]")) event.target.form.requestSubmit();
    });
    window.addEventListener("storage", (event) => event.key === "theme" && chooseTheme(storedTheme()));

    htmx.onLoad((part) => {
        for (const choice of part.querySelectorAll("[data-theme-choice]")) choice.hidden = false;
        for (const key of part.querySelectorAll("[data-shortcut]")) if (isApple) key.textContent = "⌘ K";
        for (const tabs of part.querySelectorAll(".tabs")) showTab(tabs);
        showTheme();
    });

    // Where the tabs are wider than the screen, the one that is open may lie beyond its edge.
    function showTab(tabs) {
        const open = tabs.querySelector("[aria-current]");
        if (open) tabs.scrollLeft = open.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - open.offsetWidth) / 2;
    }

    // A row is its link, also where a tooltip lies above it.
    document.addEventListener("click", (event) => {
        const row = event.target.closest(".row-link");
        if (row && !event.target.closest("a, button, input, label, summary") && !String(getSelection())) {
            row.querySelector(".row-link__target")?.click();
        }
    });

    // A form that must not be sent twice by a double click: what the first answer shows, the second would hide.
    document.addEventListener("submit", (event) => {
        const form = event.target;
        if (!form.matches("[data-once]")) return;
        if (form.hasAttribute("aria-busy")) event.preventDefault();
        form.setAttribute("aria-busy", "true");
        event.submitter?.setAttribute("aria-busy", "true");
    });
    window.addEventListener("pageshow", () => {
        for (const busy of document.querySelectorAll("[data-once], [data-once] [aria-busy]")) busy.removeAttribute("aria-busy");
    });

    // A page that shows a refused form again begins at what is wrong. A styleguide that shows one is no such page.
    document.addEventListener("DOMContentLoaded", () => {
        if (performance.getEntriesByType("navigation")[0]?.responseStatus !== 422) return;
        document.querySelector("main :is([role=alert][tabindex], [aria-invalid=true])")?.focus();
    });

    // What polls pauses while nobody looks, keeps the focus where it was, and follows when one was signed out.
    document.addEventListener("htmx:beforeRequest", (event) => {
        if (document.hidden && !event.detail.requestConfig.triggeringEvent) event.preventDefault();
    });
    let focused = "";
    document.addEventListener("htmx:beforeSwap", (event) => {
        const { xhr, target, requestConfig } = event.detail;
        const asked = new URL(requestConfig.path, location.href).pathname;
        const answered = new URL(xhr.responseURL || location.href).pathname;
        if (asked !== answered && /^\s*<!doctype html/i.test(xhr.responseText)) {
            event.detail.shouldSwap = false;
            if (answered.includes("/login/")) location.reload();
            else location.assign(xhr.responseURL);
            return;
        }
        const active = document.activeElement;
        focused = target.contains(active) && active.matches("a[href]") ? active.getAttribute("href") : "";
    });
    document.addEventListener("htmx:afterSettle", (event) => {
        if (!focused || document.activeElement !== document.body) return;
        event.target.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
        focused = "";
    });

    // Menus close when focus or pointer goes elsewhere, and on Escape.
    function closeMenus(except) {
        for (const menu of document.querySelectorAll("[data-menu][open]")) if (menu !== except) menu.open = false;
    }
    document.addEventListener("pointerdown", (event) => closeMenus(event.target.closest("[data-menu]")));
    document.addEventListener("focusin", (event) => closeMenus(event.target.closest("[data-menu]")));
    document.addEventListener("keydown", (event) => {
        const menu = event.target.closest?.("[data-menu][open]");
        if (!menu) return;
        if (event.key === "Escape") {
            event.stopPropagation();
            event.preventDefault();
            menu.open = false;
            menu.querySelector("summary").focus();
        } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            const items = [menu.querySelector("summary"), ...menu.querySelectorAll(".menu__item")];
            const place = items.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1);
            items[(place + items.length) % items.length].focus();
            event.preventDefault();
        }
    });

    // The drawer is a popover; the rest of the page is inert while it is open, so that focus stays in it.
    const drawer = document.getElementById("sidebar");
    if (drawer?.showPopover) {
        const rest = [...document.body.children].filter((each) => each !== drawer && each.tagName !== "SCRIPT");
        const setRest = (isInert) => rest.forEach((each) => (each.inert = isInert));
        drawer.addEventListener("beforetoggle", (event) => {
            if (event.newState === "closed") setRest(false); // before the browser gives the focus back
        });
        drawer.addEventListener("toggle", (event) => {
            if (event.newState !== "open") return;
            setRest(true);
            drawer.querySelector(".sidebar__close").focus();
        });
        matchMedia("(min-width: 60.01rem)").addEventListener("change", (query) => {
            if (query.matches && drawer.matches(":popover-open")) drawer.hidePopover();
        });
    }
})();
