// The entry of all pages' scripts. A page is readable, and its forms work, without any of them.
import "../vendor/htmx.esm.min.js";
import "./copying.js";
import "./keys.js";
import "./list_keys.js";
import "./live.js";
import "./palette.js";
import "./relative_times.js";
import "./requests.js";
import "./retrying.js";
import "./signed_out.js";
import "./theme_choice.js";
import "./trusted_html.js";
