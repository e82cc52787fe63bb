"""Export the course as static pages that need no network: site.py FOLDER NOTEBOOK...

Formulas become MathML, which browsers draw by themselves; figures are the SVG that the notebooks hold; what only a live program can
do (sliders) is left out in favour of the figure beside it. Then every link, anchor and resource of the pages is checked."""
import html.parser
import os
import re
import sys
import urllib.parse

import nbformat
from jupyter_core.paths import jupyter_path
from latex2mathml.converter import convert
from nbconvert import HTMLExporter

CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)
WIDGET = "application/vnd.jupyter.widget-view+json"
STYLE = """<style>
.jp-Notebook { max-width: 58rem; margin: auto; }
.course-nav { max-width: 58rem; margin: 1rem auto; padding: 0 0.5rem; font-family: sans-serif; display: flex; justify-content: space-between; }
.course-nav a, .jp-RenderedMarkdown a { color: var(--jp-content-link-color); }
math { font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", math; }
math[display=block] { margin: 0.8em 0; overflow-x: auto; }
/* A table cell of width 100 % beside the prompt would be wider than the page; figures become as small as they can be read, and then move sideways. */
.jp-OutputArea-child { display: flex; }
.jp-OutputArea-child .jp-OutputArea-output { display: block; flex: 1 1 0; min-width: 0; width: auto; overflow-x: auto; }
.jp-OutputArea-output svg, .jp-OutputArea-output img { max-width: 100%; min-width: 34rem; height: auto; }
.jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }
.jp-InputArea-editor .highlight { overflow-x: auto; }
@media (max-width: 760px) {
  .jp-OutputArea-child { flex-direction: column; }
  .jp-OutputArea-child .jp-OutputArea-output { flex: none; width: 100%; margin-left: 0; box-sizing: border-box; }
  .jp-RenderedMarkdown { overflow-x: auto; }
  .jp-OutputArea-output pre { font-size: 10px; }
}
</style>"""


def dark():
    """What JupyterLab's dark theme says, for readers who like it dark."""
    for folder in jupyter_path("nbconvert", "templates", "lab", "static"):
        path = os.path.join(folder, "theme-dark.css")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return "<style>@media (prefers-color-scheme: dark) {\n:root { color-scheme: dark; }\n" + file.read() + "}</style>"
    sys.exit("nbconvert has no dark theme here")



def mathml(text):
    """Formulas of a markdown text as MathML; code is left alone."""
    def formula(match):
        block = match[1] is not None
        latex = (match[1] or match[2]).strip()
        # A blank line or a line of its own would end markdown's inline HTML.
        return convert(latex, display="block" if block else "inline").replace("\n", " ")
    parts = CODE.split(text)
    return "".join(part if i % 2 else MATH.sub(formula, part) for i, part in enumerate(parts))


def page_name(path):
    folder = "solutions/" if os.path.basename(os.path.dirname(path)) == "solutions" else ""
    return folder + os.path.basename(path).removesuffix(".ipynb") + ".html"


def prepare(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\(([^)\s:]+)\.ipynb(#[^)\s]*)?\)", r"](\1.html\2)", mathml(cell.source))
            continue
        for output in cell.get("outputs", []):
            if "data" in output and len(output.data) > 1:
                output.data.pop(WIDGET, None)
                for mime in [m for m in output.data if "vegalite" in m]:
                    del output.data[mime]


def title(notebook):
    first = next(c.source for c in notebook.cells if c.cell_type == "markdown")
    question = re.search(r"\*\*(.+?)\*\*", first, re.DOTALL)
    return first.splitlines()[0].lstrip("# "), question[1] if question else ""


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def export(folder, paths):
    exporter = HTMLExporter(mathjax_url="", require_js_url="", mermaid_js_url="", jquery_url="")
    names = [page_name(p) for p in paths]
    rows = []
    for i, path in enumerate(paths):
        notebook = nbformat.read(path, as_version=4)
        heading, question = title(notebook)
        prepare(notebook)
        page, _ = exporter.from_notebook_node(notebook)
        # Scripts of other hosts, and those that wait for them: nothing on the pages needs any.
        page = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
        page = page.replace("<title>Notebook</title>", f"<title>{heading}</title>")
        up = "../" if "/" in names[i] else ""
        links = [f'<a href="{up}index.html">the course</a>']
        if not up:
            rows.append((names[i], heading, question))
            for step, word in ((-1, "previous"), (1, "next")):
                if 0 <= i + step < len(names) and "/" not in names[i + step]:
                    links.append(f'<a href="{names[i + step]}">{word}</a>')
        nav = '<nav class="course-nav">' + " ".join(links) + "</nav>"
        page = page.replace("</head>", dark() + STYLE + "</head>", 1)
        page = re.sub(r"(<body[^>]*>)", lambda m: m[1] + nav, page, count=1)
        write(folder, names[i], page)
        print(names[i])
    items = "\n".join(f'<li><a href="{n}">{h}</a><br>{q}</li>' for n, h, q in rows)
    write(folder, "index.html", f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>The vanishing gradient: a course</title>
<style>:root {{ color-scheme: light dark; }} body {{ font-family: sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.5; }} ul {{ padding: 0; }} li {{ margin: 0.7em 0; list-style: none; }}</style>
</head><body><h1>The vanishing gradient: a course</h1>
<p>Notebooks in Go: every claim is measured, and theory is drawn over the measurement.</p><ul>
{items}
</ul></body></html>
""")


class Links(html.parser.HTMLParser):
    """What a page refers to, and the anchors that it has."""

    def __init__(self):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.anchors.add(attrs["id"])
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        elif attrs.get("src"):
            self.loads.append(attrs["src"])
        elif tag == "link" and attrs.get("href"):
            self.loads.append(attrs["href"])


def check(folder):
    pages = {}
    for base, _, files in os.walk(folder):
        for file in files:
            path = os.path.join(base, file)
            if file.endswith(".html"):
                parser = Links()
                with open(path, encoding="utf-8") as text:
                    parser.feed(text.read())
                pages[os.path.normpath(path)] = parser
    wrong = []
    for path, page in pages.items():
        for load in page.loads:
            if not load.startswith("data:"):
                wrong.append(f"{path} loads {load[:80]}")
        for link in page.links:
            target = urllib.parse.urlparse(link)
            if target.scheme:
                if target.scheme != "https":
                    wrong.append(f"{path} links to {link}")
                continue
            file = os.path.normpath(os.path.join(os.path.dirname(path), urllib.parse.unquote(target.path))) if target.path else path
            if file not in pages:
                wrong.append(f"{path} links to {link}: there is no such page")
            elif target.fragment and not {target.fragment, urllib.parse.unquote(target.fragment)} & pages[file].anchors:
                wrong.append(f"{path} links to {link}: there is no such anchor")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(pages)} pages, {sum(len(p.links) for p in pages.values())} links: all lead somewhere, and nothing is loaded from elsewhere")


export(sys.argv[1], sys.argv[2:])
check(sys.argv[1])
