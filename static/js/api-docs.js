// Swagger UI over our own document: no validator badge, nothing from elsewhere, and no token kept after the page.
const page = document.getElementById("api-docs");
window.SwaggerUIBundle({
  url: page.dataset.document,
  domNode: page,
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  syntaxHighlight: { activated: false },
  presets: [window.SwaggerUIBundle.presets.apis],
});
