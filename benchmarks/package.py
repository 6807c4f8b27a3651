"""How large the package of a function is, unzipped: ``make build``, then ``python benchmarks/package.py``."""

from pathlib import Path

BUILT = Path(__file__).resolve().parents[1] / ".aws-sam/build"
BUDGET_BYTES = 20_000_000  # Lambda counts what files contain


def measure() -> dict[str, float]:
    """The bytes of the largest package that `make build` has made, and the budget. Raises ValueError without one."""
    packages = [path for path in BUILT.iterdir() if path.is_dir()] if BUILT.exists() else []
    if not packages:
        raise ValueError("there is no package: run make build")
    sizes = [sum(path.stat().st_size for path in package.rglob("*") if path.is_file()) for package in packages]
    return {"bytes": max(sizes), "budget": BUDGET_BYTES}


if __name__ == "__main__":
    figures = measure()
    met = "met" if figures["bytes"] <= figures["budget"] else "NOT met"
    print(f"package unzipped: {figures['bytes'] / 1e6:.1f} MB, budget {figures['budget'] / 1e6:.0f} MB, {met}")  # noqa: T201  # its purpose
