"""A graph of one's own: counts the words of a text, then says what it found.

Serve it:  langgraph-kafka serve --config examples/own_graph/langgraph.json
Ask it:    langgraph-kafka trigger --graph word_count --data '{"text": "to be or not to be"}' --wait
"""

from collections import Counter
from typing import TypedDict

from langgraph.graph import END, START, StateGraph


class Question(TypedDict):
    """What an event's data must hold."""

    text: str


class Answer(TypedDict):
    """What the result holds."""

    words: int
    commonest: str
    sentence: str


class State(Question, Answer):
    """What the nodes share on the way."""


async def count(state: State) -> dict[str, int | str]:
    """Count the words and find the one that comes most often."""
    words = state["text"].lower().split()
    commonest = Counter(words).most_common(1)
    return {"words": len(words), "commonest": commonest[0][0] if commonest else ""}


async def tell(state: State) -> dict[str, str]:
    """Put it into a sentence."""
    if not state["words"]:
        return {"sentence": "There are no words."}
    return {"sentence": f"{state['words']} words, most often {state['commonest']!r}."}


graph = StateGraph(State, input_schema=Question, output_schema=Answer)
graph.add_node("count", count)
graph.add_node("tell", tell)
graph.add_edge(START, "count")
graph.add_edge("count", "tell")
graph.add_edge("tell", END)
