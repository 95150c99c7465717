"use strict";

SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: document.getElementById("swagger-ui").dataset.schema,
  deepLinking: true,
  // Otherwise the page asks a public service whether the schema is valid.
  validatorUrl: null,
});
