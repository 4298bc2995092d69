// Reads a document from stdin and prints, as a JSON list, the errors that AsyncAPI's parser finds in it.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const { Parser } = createRequire(join(process.argv[2], "here.cjs"))("@asyncapi/parser");
const ERROR = 0;

new Parser().parse(readFileSync(0, "utf8")).then(({ document, diagnostics }) => {
  const errors = diagnostics
    .filter((found) => found.severity === ERROR)
    .map((found) => `${found.path.join("/")}: ${found.message}`);
  if (!document && errors.length === 0) errors.push("the parser gave no document and no reason");
  process.stdout.write(JSON.stringify(errors));
});
