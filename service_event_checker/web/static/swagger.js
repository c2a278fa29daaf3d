// Shows the OpenAPI document by Swagger UI. validatorUrl: null, so that nothing is asked of another site.
"use strict";
const place = document.getElementById("swagger");
SwaggerUIBundle({ url: place.dataset.document, domNode: place, deepLinking: true, validatorUrl: null });
