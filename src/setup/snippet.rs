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

/// Without bytecode in the image, the first process of each container compiles everything again. `tests/docker-recipe.sh` builds this.
pub const DOCKER: &str = include_str!("snippet/Dockerfile");

/// Steps that keep the store in the cache of a workflow.
pub const GITHUB_ACTIONS: &str = include_str!("snippet/github-actions.yml");

/// The tasks of a role: the program, the configuration, the schedule for every user, the directory of the metrics.
pub const ANSIBLE: &str = include_str!("snippet/ansible.yml");

/// Alerts for the metrics of `prune`, `du`, `doctor` and the job for every user. `tests/host/prometheus.rs` lets Prometheus load this.
pub const PROMETHEUS: &str = include_str!("snippet/prometheus-rules.yml");

/// A dashboard of the same metrics.
pub const GRAFANA: &str = include_str!("snippet/grafana-dashboard.json");

/// Replaces `find … -name __pycache__ -exec rm -rf`.
pub const MAKE: &str = "# Bytecode in this tree, and what the store has of it. Neither touches anything else.
.PHONY: clean
clean:
\tpycstore sweep .
\tpycstore forget .
";
