"use strict";
// A file of its own: the page's security policy allows no script in the page itself.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null, // nothing is asked of another host
});
