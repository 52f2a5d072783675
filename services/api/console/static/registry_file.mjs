/* A file that is chosen goes into the field of the text; the page is whole without this. */
const form = document.getElementById("registry-file");
const file = form.querySelector("input[type=file]");
file.closest("p").hidden = false;
file.addEventListener("change", async () => {
  const [one] = file.files;
  if (one === undefined) {
    return;
  }
  form.elements.text.value = await one.text();
  form.elements.form.value = one.name.toLowerCase().endsWith(".csv") ? "csv" : "yaml";
});
