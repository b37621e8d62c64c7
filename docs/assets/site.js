// Give names and keyboard access to what the theme makes itself: its search dialog, copy buttons and scrolling frames.
(function () {
  "use strict";
  function complete() {
    document.querySelectorAll("[role=dialog]:not([aria-label])").forEach(function (dialog) {
      dialog.setAttribute("aria-label", "Search");
    });
    document.querySelectorAll(".md-code__nav:not([aria-label])").forEach(function (nav) {
      nav.setAttribute("aria-label", "Example " + (document.querySelectorAll(".md-code__nav[aria-label]").length + 1));
    });
    // A wide picture of a terminal scrolls in its paragraph on a phone.
    var frames = "pre > code, .md-typeset__scrollwrap, p:has(> img[src$='.svg']), p:has(> a > img[src$='.svg'])";
    document.querySelectorAll(frames).forEach(function (frame) {
      if (!frame.hasAttribute("tabindex")) {
        frame.setAttribute("tabindex", "0");
      }
    });
  }
  function begin() {
    complete();
    // The theme adds its buttons and frames after the page has loaded.
    new MutationObserver(complete).observe(document.body, { childList: true, subtree: true });
  }
  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", begin);
  } else {
    begin();
  }
})();
