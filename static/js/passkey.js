// Says in words what went wrong between browser and passkey. The ceremony itself is allauth's mfa/js/webauthn.js.
{
  const reasons = {
    NotAllowedError: "The browser stopped: it was cancelled, it took too long, or there is no passkey for this site on this device. Try once more.",
    InvalidStateError: "This device holds a passkey for your account already. Use another device, or keep that one.",
    SecurityError: "The browser refuses passkeys at this address. They need https, or http://localhost.",
    NotSupportedError: "This device cannot make such a passkey. Take the tick away, or use another device.",
    ConstraintError: "This device cannot check that it is you. Take the tick away, or use another device.",
  };

  document.addEventListener("allauth.error", (event) => {
    if (!event.detail.tags.includes("webauthn")) return;
    const notice = document.querySelector("[data-passkey-trouble]");
    if (!notice) return;
    event.preventDefault();
    const { name, message } = event.detail.exception;
    notice.querySelector("p").textContent =
      reasons[name] ?? (window.PublicKeyCredential ? `It did not work: ${message}` : "This browser knows no passkeys. Use another one.");
    notice.hidden = false;
    notice.scrollIntoView({ block: "nearest" });
  });
}
