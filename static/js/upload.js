/* A file field with drop area and progress. The form stays a form with its own address; where htmx sends it
   (hx-post, hx-encoding="multipart/form-data") the progress of its request is shown here. */
(() => {
    "use strict";
    const fields = (part) => [...(part.querySelectorAll?.("[data-upload]") || [])];

    function say(upload, text, kind = "") {
        const state = upload.querySelector("[data-state]");
        state.dataset.kind = kind;
        state.textContent = text;
    }

    function chosen(upload) {
        const input = upload.querySelector("input[type=file]");
        const file = input.files[0];
        const limit = Number(upload.dataset.maxBytes) || Infinity;
        input.setCustomValidity("");
        if (!file) return say(upload, "");
        if (file.size > limit) {
            const text = `${file.name} has ${sizeInWords(file.size)}; at most ${sizeInWords(limit)} are accepted. Leave out what the code does not need.`;
            input.setCustomValidity(text);
            return say(upload, text, "failed");
        }
        say(upload, `${file.name}, ${sizeInWords(file.size)}`);
    }

    function progress(upload, loaded, total) {
        const bar = upload.querySelector("progress");
        const file = upload.querySelector("input[type=file]").files[0];
        if (!file || !total) return;
        if (bar.hidden) {
            bar.hidden = false;
            upload.scrollIntoView({ block: "nearest" }); // the button that sends is often far below
        }
        if (loaded < total) {
            bar.value = (100 * loaded) / total;
            say(upload, `${file.name}: ${sizeInWords(loaded)} of ${sizeInWords(total)} sent`);
        } else {
            bar.removeAttribute("value"); // sent; how long the checks take nobody knows
            say(upload, `${file.name} is sent. Checking it…`);
        }
    }

    function reset(upload) {
        const bar = upload.querySelector("progress");
        bar.hidden = true;
        bar.value = 0;
        chosen(upload);
    }

    document.addEventListener("change", (event) => {
        const upload = event.target.closest("[data-upload]");
        if (upload) chosen(upload);
    });
    document.addEventListener("htmx:xhr:progress", (event) => {
        // It also tells of the answer on its way back, where nothing is known of the total.
        if (!event.detail.lengthComputable || !event.target.matches("form")) return;
        for (const upload of fields(event.target)) progress(upload, event.detail.loaded, event.detail.total);
    });
    document.addEventListener("htmx:afterRequest", (event) => {
        for (const upload of fields(event.target)) if (!event.detail.successful) reset(upload);
    });
    document.addEventListener("htmx:sendError", (event) => {
        for (const upload of fields(event.target)) say(upload, "The upload broke off. Check the connection and send it again.", "failed");
    });

    htmx.onLoad((part) => {
        for (const upload of fields(part)) {
            const area = upload.querySelector(".upload__area");
            const input = upload.querySelector("input[type=file]");
            const over = (isOver) => (event) => {
                event.preventDefault();
                area.toggleAttribute("data-over", isOver);
            };
            area.addEventListener("dragenter", over(true));
            area.addEventListener("dragover", over(true));
            area.addEventListener("dragleave", over(false));
            area.addEventListener("drop", (event) => {
                over(false)(event);
                if (!event.dataTransfer.files.length) return;
                input.files = event.dataTransfer.files;
                input.dispatchEvent(new Event("change", { bubbles: true }));
            });
            if (input.files.length) chosen(upload);
        }
    });
    // A file that misses the area must not replace the page.
    for (const name of ["dragover", "drop"]) {
        document.addEventListener(name, (event) => {
            if (event.dataTransfer?.types.includes("Files") && fields(document).length) event.preventDefault();
        });
    }
})();
