//! Snippets for programs whose configuration pycstore cannot find.

/// nvim-tree: the option `filters.custom`, a list of Vim's regular expressions on names.
pub const NVIM_TREE: &str = r#"-- nvim-tree: in the call of setup
require("nvim-tree").setup({
  filters = { custom = { "^__pycache__$", "\\.py[co]$" } },
})
"#;

/// NERDTree: the list `NERDTreeIgnore`; a mark tells directories from files.
pub const NERDTREE: &str = r#"" NERDTree: in vimrc
let NERDTreeIgnore = get(g:, 'NERDTreeIgnore', []) + ['^__pycache__$[[dir]]', '\.py[co]$[[file]]']
"#;

/// Both choices. Without bytecode in the image, the first process of each container compiles everything again. A cache mount exists
/// only while the image is built.
pub const DOCKER: &str = r"# Choose one.
#
# 1. Python writes no bytecode: the smallest image, and every start compiles again.
ENV PYTHONDONTWRITEBYTECODE=1
#
# 2. Python keeps bytecode in one tree. While the image is built, the tree is a cache that later builds find again and
#    that is not in the image; in containers, mount a volume there to keep it.
ENV PYTHONPYCACHEPREFIX=/var/cache/cpython
RUN --mount=type=cache,target=/var/cache/cpython,mode=0700 \
    python -m pip install --no-cache-dir -r requirements.txt
";

/// Replaces `find … -name __pycache__ -exec rm -rf`.
pub const MAKE: &str = "# Bytecode in this tree, and what the store has of it. Neither touches anything else.
.PHONY: clean
clean:
\tpycstore sweep .
\tpycstore forget .
";
