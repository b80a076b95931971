/* Sets the chosen theme before the first paint; without a choice the system's is used. The only script that blocks. */
(() => {
    "use strict";
    let chosen = null;
    try {
        chosen = localStorage.getItem("theme");
    } catch {
        // Storage is closed to us: the system's theme it is.
    }
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
    document.documentElement.classList.add("js");
})();
