"""Small fleets of every kind, for tests and for hypothesis."""

from hypothesis import strategies as st

from inference.plan.fleet import Fleet, Gpus, Model, Node
from inference.plan.model_facts import ModelFacts, of_known
from inference.plan.planner import Facts

SOURCES = (
    "HuggingFaceTB/SmolLM2-360M-Instruct",
    "meta-llama/Llama-2-7b-chat-hf",
    "meta-llama/Llama-2-13b-chat-hf",
    "Qwen/Qwen2.5-14B",  # its 40 heads divide by 8 at most
    "mistralai/Mixtral-8x7B-v0.1",
    "meta-llama/Llama-2-70b-chat-hf",
)
PRODUCTS = ("T4", "L4", "A100-SXM4-80GB", "H200", "MI210")


def known(source: str) -> ModelFacts:
    """Facts from the built-in table, which must have them."""
    found = of_known(source)
    assert found is not None
    return found


def facts_of(fleet: Fleet) -> Facts:
    return {model.source: known(model.source) for model in fleet.models}


def gpu_node(name: str = "gpu", product: str = "A100-SXM4-80GB", count: int = 8, **more) -> Node:
    gpus = (Gpus(product=product, count=count),)
    return Node(name=name, **{"cores": 128, "sockets": 2, "memory": "512GB", "gpus": gpus, **more})


def cpu_node(name: str = "cpu", **more) -> Node:
    return Node(name=name, **{"cores": 64, "sockets": 2, "memory": "256GB", **more})


gpus = st.builds(Gpus, product=st.sampled_from(PRODUCTS), count=st.integers(1, 8))


@st.composite
def nodes(draw: st.DrawFn, name: str) -> Node:
    sockets = draw(st.sampled_from([1, 2]))
    return Node(
        name=name,
        vendor=draw(st.sampled_from(["INTEL", "AMD"])),
        sockets=sockets,
        cores=draw(st.integers(sockets, 64)),
        memory=draw(st.sampled_from(["16GB", "64GB", "512GB"])),
        gpus=tuple(draw(st.lists(gpus, max_size=2))),
        count=draw(st.integers(1, 3)),
        labels=draw(st.sampled_from([{}, {"zone": "a"}])),
    )


@st.composite
def models(draw: st.DrawFn, name: str) -> Model:
    return Model(
        name=name,
        source=draw(st.sampled_from(SOURCES)),
        precision=draw(st.sampled_from(["auto", "bfloat16", "fp8", "int8", "int4"])),
        cache_8bit=draw(st.booleans()),
        context=draw(st.sampled_from([None, 512, 2048])),
        tokens=draw(st.sampled_from([None, 300])),
        concurrency=draw(st.integers(1, 400)),
        replicas=draw(st.sampled_from(["auto", 1, 2, 5])),
        device=draw(st.sampled_from(["auto", "auto", "gpu", "cpu", "amd_cpu"])),
        tensor_parallel_size=draw(st.sampled_from([None, None, None, 2])),
        num_cpus=draw(st.sampled_from([None, None, 4, 40])),
        across_nodes=draw(st.sampled_from([False, False, True])),
        labels=draw(st.sampled_from([{}, {}, {"zone": "a"}])),
    )


@st.composite
def fleets(draw: st.DrawFn, max_nodes: int = 4, max_models: int = 4) -> Fleet:
    return Fleet(
        nodes=[draw(nodes(f"n{i}")) for i in range(draw(st.integers(1, max_nodes)))],
        models=[draw(models(f"m{i}")) for i in range(draw(st.integers(1, max_models)))],
    )
