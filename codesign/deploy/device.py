"""A programmed board that computes a graph: frames of integers in, frames of integers out."""

from __future__ import annotations

import numpy as np

from codesign import ir
from codesign.deploy import protocol
from codesign.deploy.client import Client
from codesign.deploy.packing import Packing
from codesign.deploy.protocol import Identity, Kind, PacketError
from codesign.errors import UserError
from codesign.ir import Graph


class WrongDeviceError(UserError):
    """A device that holds another network than the one that was meant."""


class Device:
    """A device whose identity is that of a graph.

    The device says how many elements its words have, so that a host needs the graph alone, not the folder that the
    bitstream was made in.

    Parameters
    ----------
    client : Client
    graph : Graph
        With one input and one output.

    Raises
    ------
    WrongDeviceError
        When the device holds another network.
    DeviceError, VersionError
        See `Client.request`.
    """

    def __init__(self, client: Client, graph: Graph) -> None:
        self.client, self.graph = client, graph
        try:
            self.identity = Identity.from_bytes(client.request(Kind.IDENTIFY))
        except PacketError as error:
            raise WrongDeviceError(f"the device tells an identity of another kind ({error}).") from error
        self._entering, self._leaving = packings(graph, self.identity)

    def run(self, frame: np.ndarray) -> np.ndarray:
        """Return what the device answers to a frame.

        Parameters
        ----------
        frame : ndarray of int, shape of the graph's input

        Returns
        -------
        ndarray of int64, shape of the graph's output

        Raises
        ------
        DeviceError
            When the device does not answer.
        """
        answer = self.client.request(Kind.INFER, self._entering.pack(frame))
        if len(answer) != self._leaving.frame_bytes:
            raise WrongDeviceError(
                f"the device answers {len(answer)} bytes where it promised {self._leaving.frame_bytes}; "
                "program it again."
            )
        return self._leaving.unpack(answer)


def packings(graph: Graph, identity: Identity) -> tuple[Packing, Packing]:
    """Return how frames of a graph travel to and from a device.

    Parameters
    ----------
    graph : Graph
        With one input and one output.
    identity : Identity
        Of the device.

    Raises
    ------
    WrongDeviceError
        When the device holds another network.
    """
    wanted = protocol.short_digest(ir.digest(graph))
    if identity.digest != wanted:
        raise WrongDeviceError(
            f"the device holds another network, the digest of its graph begins with {identity.digest.hex()}, "
            f"not with {wanted.hex()}"
        )
    (source,), (result,) = graph.inputs, graph.outputs
    try:
        entering = Packing(graph.edges[source], identity.input_lanes)
        leaving = Packing(graph.edges[result], identity.output_lanes)
    except ValueError as error:
        raise WrongDeviceError(f"the device tells an impossible identity: {error}") from error
    if (entering.frame_bytes, leaving.frame_bytes) != (identity.input_bytes, identity.output_bytes):
        raise WrongDeviceError(
            f"the device takes frames of {identity.input_bytes} and answers {identity.output_bytes} bytes, "
            f"this graph has {entering.frame_bytes} and {leaving.frame_bytes}"
        )
    return entering, leaving
