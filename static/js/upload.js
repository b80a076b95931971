/* A file field with drop area and progress. The form stays a form: same address, same fields. Where htmx sends it
   (hx-post) its progress is shown; else this file sends it, shows the server's answer in the page, and follows it. */
(() => {
    "use strict";
    const units = ["bytes", "KB", "MB", "GB"];

    function size(bytes) {
        let unit = 0;
        while (bytes >= 1024 && unit < units.length - 1) {
            bytes /= 1024;
            unit += 1;
        }
        return `${unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
    }

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
            const text = `${file.name} has ${size(file.size)}; at most ${size(limit)} are accepted. Leave out what the code does not need.`;
            input.setCustomValidity(text);
            return say(upload, text, "failed");
        }
        say(upload, `${file.name}, ${size(file.size)}`);
    }

    function progress(upload, loaded, total) {
        const bar = upload.querySelector("progress");
        const file = upload.querySelector("input[type=file]").files[0];
        if (!file || !total) return;
        bar.hidden = false;
        if (loaded < total) {
            bar.value = (100 * loaded) / total;
            say(upload, `${file.name}: ${size(loaded)} of ${size(total)} sent`);
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

    function busy(form, isBusy) {
        for (const button of form.querySelectorAll("button:not([type=button])")) {
            button.disabled = isBusy;
            button.setAttribute("aria-busy", String(isBusy));
        }
    }

    function send(form, submitter) {
        const uploads = [...form.querySelectorAll("[data-upload]")];
        const request = new XMLHttpRequest();
        const data = new FormData(form, submitter);
        const failed = (text) => {
            busy(form, false);
            for (const upload of uploads) {
                reset(upload);
                say(upload, text, "failed");
            }
        };
        request.open("POST", form.action);
        request.setRequestHeader("HX-Request", "true"); // the server then answers a redirect as a header
        request.upload.addEventListener("progress", (event) => {
            for (const upload of uploads) progress(upload, event.loaded, event.total);
        });
        request.addEventListener("error", () => failed("The upload broke off. Check the connection and send it again."));
        request.addEventListener("load", () => {
            const next = request.getResponseHeader("HX-Redirect");
            if (next || new URL(request.responseURL).pathname !== new URL(form.action).pathname) {
                location.assign(next || request.responseURL);
            } else if (request.status === 422 || request.status === 200) answer(form, request.responseText);
            else if (request.status === 413) failed("The server refused the file: it is larger than allowed.");
            else failed(`The server could not take the file (${request.status}). Send it again; if it stays so, tell the operator.`);
        });
        busy(form, true);
        request.send(data);
    }

    function answer(form, html) {
        const page = new DOMParser().parseFromString(html, "text/html");
        const forms = [...document.forms].filter((each) => each.matches(":has([data-upload])"));
        const fresh = [...page.forms].filter((each) => each.matches(":has([data-upload])"))[forms.indexOf(form)];
        if (!fresh) return location.reload();
        const files = [...form.querySelectorAll("input[type=file]")].map((input) => [input.name, input.files]);
        form.replaceWith(fresh);
        for (const [name, list] of files) {
            const input = fresh.querySelector(`input[type=file][name="${CSS.escape(name)}"]`);
            if (input) input.files = list; // what was chosen stays chosen
        }
        htmx.process(fresh);
        htmx.trigger(fresh, "htmx:load", { elt: fresh });
        const mistake = fresh.querySelector("[role=alert], .field__errors");
        mistake?.scrollIntoView({ block: "center" });
        fresh.querySelector("[aria-invalid=true]")?.focus({ preventScroll: true });
    }

    document.addEventListener("submit", (event) => {
        const form = event.target;
        if (event.defaultPrevented || form.matches("[hx-post]") || !form.querySelector("[data-upload] input[type=file]")?.files.length) return;
        event.preventDefault();
        send(form, event.submitter);
    });
    document.addEventListener("htmx:xhr:progress", (event) => {
        for (const upload of event.target.querySelectorAll("[data-upload]")) progress(upload, event.detail.loaded, event.detail.total);
    });
    document.addEventListener("htmx:afterRequest", (event) => {
        for (const upload of event.target.querySelectorAll?.("[data-upload]") || []) if (!event.detail.successful) reset(upload);
    });
    document.addEventListener("change", (event) => {
        const upload = event.target.closest("[data-upload]");
        if (upload) chosen(upload);
    });

    htmx.onLoad((part) => {
        for (const upload of part.querySelectorAll("[data-upload]")) {
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
        document.addEventListener(name, (event) => event.dataTransfer?.types.includes("Files") && document.querySelector("[data-upload]") && event.preventDefault());
    }
})();
