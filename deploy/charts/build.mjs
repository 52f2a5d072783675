// Bundles src/charts.mjs with the parts of Apache ECharts that it uses: node build.mjs FILE
import { build } from "esbuild";
await build({
  entryPoints: [new URL("src/charts.mjs", import.meta.url).pathname],
  outfile: process.argv[2],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "none", // their licences stand beside the file
  logLevel: "warning",
});
