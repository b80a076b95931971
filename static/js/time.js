/* Times go on while one looks: "5 minutes ago" every 30 s, what runs every second. The words are those of
   portal/templatetags/mercato.py. */
(() => {
    "use strict";
    const [MINUTE, HOUR, DAY] = [60, 3600, 86400];
    const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "long" });
    const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

    function ago(at) {
        const seconds = (Date.now() - at) / 1000;
        const size = Math.abs(seconds);
        if (size < 10) return "just now";
        if (size >= 30 * DAY) return day.format(at);
        for (const [length, unit] of [[DAY, "day"], [HOUR, "hour"], [MINUTE, "minute"], [1, "second"]]) {
            if (size < length) continue;
            const count = Math.floor(size / length);
            const words = `${count} ${unit}${count === 1 ? "" : "s"}`;
            return seconds > 0 ? `${words} ago` : `in ${words}`;
        }
    }

    function duration(seconds) {
        if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
        if (seconds < 10) return `${seconds.toFixed(1)} s`;
        const whole = Math.floor(seconds);
        if (whole < MINUTE) return `${whole} s`;
        for (const [length, unit, partLength, partUnit] of [[DAY, "d", HOUR, "h"], [HOUR, "h", MINUTE, "min"], [MINUTE, "min", 1, "s"]]) {
            if (whole < length) continue;
            const part = Math.floor((whole % length) / partLength);
            return `${Math.floor(whole / length)} ${unit}${part ? ` ${part} ${partUnit}` : ""}`;
        }
    }

    function write(element, text) {
        if (element.textContent !== text) element.textContent = text;
    }

    function tickTimes() {
        for (const time of document.querySelectorAll("[data-time]")) write(time, ago(Date.parse(time.dateTime)));
    }

    function tickElapsed() {
        for (const each of document.querySelectorAll("[data-elapsed]")) {
            const seconds = Math.max(0, (Date.now() - Date.parse(each.dataset.elapsed)) / 1000);
            write(each, duration(seconds < 10 ? Math.floor(seconds * 10) / 10 : seconds));
        }
    }

    function showLocal(part) {
        for (const time of part.querySelectorAll("[data-time]")) time.title = exact.format(Date.parse(time.dateTime));
        if (part.matches?.("[data-time]")) part.title = exact.format(Date.parse(part.dateTime));
    }

    htmx.onLoad(showLocal);
    setInterval(() => document.hidden || tickElapsed(), 1000);
    setInterval(() => document.hidden || tickTimes(), 30000);
    document.addEventListener("visibilitychange", () => {
        if (document.hidden) return;
        tickElapsed();
        tickTimes();
    });
})();
