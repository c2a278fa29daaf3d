// Shows the OpenAPI document by ReDoc, in the system's own fonts.
"use strict";
const place = document.getElementById("redoc");
const fonts = { fontFamily: "system-ui, sans-serif", headings: { fontFamily: "system-ui, sans-serif" } };
Redoc.init(place.dataset.document, { theme: { typography: fonts } }, place);
