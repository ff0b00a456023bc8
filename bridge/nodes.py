# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding out what feeds a node socket: through reroutes, muted nodes and node groups.

Traps handled here: links that Blender marks invalid or muted carry nothing; a muted node passes the input that its
``internal_links`` name; a reroute may be unconnected; a group's inside is reached through its Group Output node and
left again through Group Input; the value of an unconnected group input lies on the group *node*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy

_MAX_STEPS = 1000  # a malformed file may hold a cycle


@dataclass(frozen=True)
class Source:
    """What feeds an input: output ``output`` of ``node``, or the constant of ``socket`` where ``node`` is None.

    ``groups`` are the group nodes that were entered to get there, outermost first.
    """

    node: bpy.types.Node | None
    output: bpy.types.NodeSocket | None
    socket: bpy.types.NodeSocket | None
    groups: tuple[bpy.types.Node, ...] = ()

    def input(self, name: str) -> Source:
        """What feeds the input ``name`` of this source's node."""
        assert self.node is not None
        return follow(self.node.inputs[name], self.groups)

    def has_input(self, name: str) -> bool:
        """Whether this source's node has an enabled input of that name."""
        return self.node is not None and name in self.node.inputs

    @property
    def described(self) -> str:
        """The node in an artist's words, for notes."""
        assert self.node is not None
        return f'node "{self.node.name}" ({self.node.bl_label})'


def _link(socket: bpy.types.NodeSocket) -> bpy.types.NodeLink | None:
    for link in socket.links:
        if link.is_valid and not link.is_muted:
            return link
    return None


def by_identifier(sockets: bpy.types.bpy_prop_collection, identifier: str) -> bpy.types.NodeSocket | None:
    """The socket of that identifier, None where there is none."""
    return next((socket for socket in sockets if socket.identifier == identifier), None)


def group_output(tree: bpy.types.NodeTree) -> bpy.types.Node | None:
    """The Group Output node that counts, None where there is none."""
    nodes = [node for node in tree.nodes if node.bl_idname == "NodeGroupOutput"]
    return next((node for node in nodes if node.is_active_output), nodes[0] if nodes else None)


def follow(socket: bpy.types.NodeSocket, groups: tuple[bpy.types.Node, ...] = ()) -> Source:
    """Walk from an input socket to the node that computes its value, or to the constant that it holds."""
    for _ in range(_MAX_STEPS):
        link = _link(socket)
        if link is None:
            return Source(None, None, socket, groups)
        node, output = link.from_node, link.from_socket
        following: bpy.types.NodeSocket | None
        if node.mute:
            following = next((inner.from_socket for inner in node.internal_links if inner.to_socket == output), None)
        elif node.bl_idname == "NodeReroute":
            following = node.inputs[0]
            if _link(following) is None:
                return Source(None, None, socket, groups)
        elif node.bl_idname == "ShaderNodeGroup" and node.node_tree is not None:
            end = group_output(node.node_tree)
            following = None if end is None else by_identifier(end.inputs, output.identifier)
            groups = (*groups, node)
        elif node.bl_idname == "NodeGroupInput" and groups:
            following = by_identifier(groups[-1].inputs, output.identifier)
            groups = groups[:-1]
        else:
            return Source(node, output, None, groups)
        if following is None:
            return Source(None, None, socket, groups)
        socket = following
    return Source(None, None, socket, groups)


def constant(source: Source) -> tuple[float, ...] | None:
    """The constant that a source stands for: an unconnected socket, a Value or an RGB node; None otherwise.

    A scalar comes as one number, colours and vectors as three (alpha is left out).
    """
    socket = source.socket
    if source.node is not None:
        if source.node.bl_idname not in {"ShaderNodeValue", "ShaderNodeRGB"}:
            return None
        socket = source.node.outputs[0]
    value = getattr(socket, "default_value", None)
    if value is None:
        return None
    if isinstance(value, (int, float)):
        return (float(value),)
    return tuple(float(part) for part in value[:3])


def upstream(source: Source) -> Iterator[Source]:
    """A source and all that feeds it, each node once for each way through groups."""
    pending, seen = [source], set()
    while pending:
        found = pending.pop()
        if found.node is None:
            continue
        key = (found.node.as_pointer(), *(group.as_pointer() for group in found.groups))
        assert found.output is not None
        if (*key, found.output.identifier) in seen:
            continue
        seen.add((*key, found.output.identifier))
        yield found
        pending += [follow(socket, found.groups) for socket in found.node.inputs]


def surface_output(tree: bpy.types.NodeTree | None) -> bpy.types.Node | None:
    """The output node that Cycles renders: the active one for Cycles, else the active one for all engines."""
    if tree is None:
        return None
    return tree.get_output_node("CYCLES")
