/* How far a job is: the log tells it (mercato:progress), and what is left goes down while one looks. The words are those
   of portal/templatetags/mercato.py. */
(() => {
    "use strict";
    const [MINUTE, HOUR, DAY] = [60, 3600, 86400];
    const part = (bar, name) => bar.querySelector(`[data-${name}]`);

    function write(element, text) {
        if (element.textContent !== text) element.textContent = text;
    }

    function remaining(fraction, since, at) {
        const took = (at - since) / 1000;
        const left = (took * (1 - fraction)) / fraction - Math.max(0, (Date.now() - at) / 1000);
        if (!(fraction > 0 && fraction < 1 && took >= 1 && left > 0)) return "";
        if (left < 10) return "a few seconds left";
        if (left < MINUTE) return `about ${Math.ceil(left / 5) * 5} s left`;
        const step = left < 3 * MINUTE ? 10 : left < HOUR ? MINUTE : left < DAY ? 5 * MINUTE : HOUR;
        const whole = Math.ceil(left / step) * step;
        for (const [length, unit, partLength, partUnit] of [[DAY, "d", HOUR, "h"], [HOUR, "h", MINUTE, "min"], [MINUTE, "min", 1, "s"]]) {
            if (whole < length) continue;
            const rest = Math.floor((whole % length) / partLength);
            return `about ${Math.floor(whole / length)} ${unit}${rest ? ` ${rest} ${partUnit}` : ""} left`;
        }
    }

    function tick(bar) {
        const { since, at } = bar.dataset;
        if (bar.hidden || !since || !at) return;
        write(part(bar, "left"), remaining(part(bar, "bar").value, Date.parse(since), Date.parse(at)));
    }

    document.addEventListener("mercato:progress", ({ detail: { fraction, message, at } }) => {
        for (const bar of document.querySelectorAll("[data-progress][data-live]")) {
            // A log that is read from its beginning tells what was; the page knows better.
            if (bar.dataset.at && Date.parse(at) < Date.parse(bar.dataset.at)) continue;
            bar.dataset.at = at;
            bar.hidden = false;
            part(bar, "bar").value = fraction;
            write(part(bar, "share"), `${Math.floor(fraction * 100)} %`);
            write(part(bar, "message"), message);
            tick(bar);
        }
    });

    // Interim results arrive at the top for hours; like the server, the page keeps only the newest.
    document.addEventListener("htmx:oobAfterSwap", ({ detail: { target } }) => {
        while (target.children.length > Number(target.dataset.keep ?? Infinity)) target.lastElementChild.remove();
    });

    setInterval(() => document.hidden || document.querySelectorAll("[data-progress][data-live]").forEach(tick), 1000);
})();
