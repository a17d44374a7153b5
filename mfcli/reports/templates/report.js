"use strict";
// A button that copies the commands, where the browser lets pages write to the clipboard.
for (const button of document.querySelectorAll(".copy")) {
  const commands = button.parentElement.querySelector("pre");
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(commands.textContent);
      button.textContent = "Copied";
    } catch {
      // Selected, they can be copied with the keyboard.
      getSelection().selectAllChildren(commands);
      button.textContent = "Selected";
    }
  });
}
