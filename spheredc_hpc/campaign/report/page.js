// Enlarges a figure when it is clicked. The page reads as well without this.
(function () {
  "use strict";
  var dialog = document.createElement("dialog");
  if (!dialog.showModal) return;
  dialog.className = "zoom";
  dialog.addEventListener("click", function () { dialog.close(); });
  document.body.appendChild(dialog);
  document.querySelectorAll("figure > svg").forEach(function (drawing) {
    drawing.tabIndex = 0;
    drawing.addEventListener("click", function () {
      dialog.replaceChildren(drawing.cloneNode(true));
      dialog.showModal();
    });
    drawing.addEventListener("keydown", function (event) {
      if (event.key === "Enter") drawing.dispatchEvent(new MouseEvent("click"));
    });
  });
})();
