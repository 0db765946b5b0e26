// Runs record.py in Pyodide: node record.cjs PYODIDE_DIRECTORY DATA_DIRECTORY
const fs = require("fs");
const path = require("path");
(async () => {
  const [pyodide, data] = process.argv.slice(2).map((name) => path.resolve(name));
  const { loadPyodide } = await import(path.join(pyodide, "pyodide.mjs"));
  const python = await loadPyodide({ indexURL: pyodide + "/", stdout: (line) => console.log(line) });
  python.FS.mkdirTree("/data");
  python.FS.mount(python.FS.filesystems.NODEFS, { root: data }, "/data");
  python.runPython("import sys; sys.argv = ['record.py', '/data']");
  python.runPython(fs.readFileSync(path.join(data, "record.py"), "utf8"));
})().catch((error) => { console.error(error); process.exit(1); });
