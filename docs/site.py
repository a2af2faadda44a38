"""Hooks of the documentation site: pages made from the code, and links that leave the site.

The command reference comes from the command line itself, the suite file reference from the classes that read it.
"""

import ast
import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from benchmark.cli import app

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(!?)\[([^\]]*)\]\(((?:\.\./)+[^)#]+)(#[^)]*)?\)")
SUITE_FILE = {  # heading -> file and class
    "The file": ("suite_file.py", "SuiteFile"),
    "[[table]]": ("suite_file.py", "Table"),
    "[recipe.NAME]": ("cell.py", "Recipe"),
    "sgd": ("cell.py", "Sgd"),
    "adam, adamw": ("cell.py", "Adam"),
    "lr, shape steps": ("cell.py", "Steps"),
    "lr, shape cosine": ("cell.py", "Cosine"),
    "lr, shape warm_cosine": ("cell.py", "WarmCosine"),
    "normalise": ("cell.py", "Normalise"),
    "[small]": ("suite_file.py", "Small"),
    "[slurm]": ("suite_file.py", "Slurm"),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    made = {
        "reference/commands.md": commands(),
        "reference/suite-file.md": suite_file(),
        "decisions/index.md": decisions(),
    }
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A link to a file of the repository that is no page names the file, or links to where the repository is known to
    lie. A picture comes along."""

    def link(match: re.Match[str]) -> str:
        source = Path(config.docs_dir) / page.file.src_uri
        target = (source.parent / match[3]).resolve()
        if target.is_relative_to(config.docs_dir) or not target.exists():
            return match[0]  # a page, or a dead link, which fails the build
        path = target.relative_to(ROOT)
        if match[1]:
            files.append(File.generated(config, f"pictures/{path.name}", abs_src_path=str(target)))
            return f"![{match[2]}]({'../' * page.file.src_uri.count('/')}pictures/{path.name})"
        return f"[{match[2]}]({config.repo_url}/blob/main/{path})" if config.repo_url else f"{match[2]} (`{path}`)"

    return LINK.sub(link, markdown.replace("](decisions)", "](decisions/index.md)"))  # a folder is no page


def commands() -> str:
    lines = ["# Command reference", "", "`prunebench COMMAND --help` prints the same.", ""]
    group: Any = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        named = [(p.name.upper(), p.required) for p in command.params if p.param_type_name == "argument"]
        arguments = " ".join(name if required else f"[{name}]" for name, required in named)
        lines += [f"## {name}", "", f"`{f'prunebench {name} {arguments}'.strip()}`", "", command.help or "", ""]
        lines += ["| option | meaning |", "|---|---|"]
        for p in command.params:
            names = ", ".join(f"`{n}`" for n in p.opts) if p.param_type_name == "option" else f"`{p.name.upper()}`"
            default = f" Default: `{p.default}`." if p.default not in (None, "", False, (), []) else ""
            lines.append(f"| {names} | {_cell((p.help or '') + default)} |")
        lines.append("")
    return "\n".join(lines)


def suite_file() -> str:
    lines = ["# Suite file reference", "", "A worked example: [Add a suite](../guides/suite.md).", ""]
    for heading, (file, name) in SUITE_FILE.items():
        lines += [f"## {heading}", "", *_fields(ROOT / "benchmark" / "plan" / file, name), ""]
    return "\n".join(lines)


def _fields(path: Path, name: str) -> list[str]:
    """The fields of a class as a table: what is written, what it may be, its default, the comment beside it."""
    text = path.read_text()
    (found,) = (n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == name)
    about = ast.get_docstring(found)
    rows = [*([about, ""] if about else []), "| key | type | default | |", "|---|---|---|---|"]
    for node in found.body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and "ClassVar" not in ast.unparse(node)
        ):
            _, _, comment = text.splitlines()[(node.end_lineno or node.lineno) - 1].partition("  # ")
            default = f"`{ast.unparse(node.value)}`" if node.value else "required"
            kind = _plain(ast.unparse(node.annotation))
            rows.append(f"| `{node.target.id}` | {_cell(kind)} | {_cell(default)} | {_cell(comment)} |")
    return rows


def _plain(annotation: str) -> str:
    """A type as TOML's writers call it."""
    words = {"Positive": "int > 0", "Share": "number, 0 to 1", "Beta": "number, 0 to 1", "Rate": "number > 0"}
    words |= {"Amount": "number between 0 and 1", "Seeds": 'text (`"0-4"`) or list of int', "Kind": "target"}
    words |= {"str": "text", "float": "number", "JsonValue": "value", "bool": "true or false", "None": "nothing"}
    annotation = re.sub(r"Annotated\[(.*?), Field\((.*?)\)\]", r"\1 \2", annotation)
    annotation = re.sub(r"Literal\[(.*?)\]", lambda m: m[1].replace("'", '"').replace(", ", " or "), annotation)
    annotation = re.sub(r" (discriminator|pattern)='[^']*'", "", annotation)
    for sign, mark in {"gt=": "> ", "ge=": "≥ ", "lt=": "< ", "le=": "≤ "}.items():
        annotation = annotation.replace(sign, mark)
    annotation = re.sub(r"(?:list|tuple)\[(.*?)(?:, \.\.\.)?\](?!\])", r"list of (\1)", annotation)
    annotation = re.sub(r"dict\[(\w+), (.*)\]", r"table: \1 = \2", annotation)
    annotation = re.sub(r"\b\w+\b", lambda m: words.get(m[0], m[0]), annotation)
    return annotation.replace(" | ", " or ").replace(" or nothing", "")


def decisions() -> str:
    lines = ["# Decisions", "", "Why things are as they are, one page each.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        lines.append(f"- [{path.read_text().partition(chr(10))[0].lstrip('# ')}]({path.name})")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
