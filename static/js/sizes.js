/* Bytes in words, as portal/lib/sizes.py says them. */
globalThis.sizeInWords = (bytes) => {
    "use strict";
    for (const [unit, factor] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
        if (bytes < factor - factor / 2048) continue;
        const number = bytes < 100 * factor ? Math.round((10 * bytes) / factor) / 10 : Math.round(bytes / factor);
        return `${number.toLocaleString("en")} ${unit}`;
    }
    return `${bytes} byte${bytes === 1 ? "" : "s"}`;
};
