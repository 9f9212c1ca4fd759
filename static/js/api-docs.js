// Swagger UI for /api/openapi.json: no validator badge, no request to another host, no stored token.
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
