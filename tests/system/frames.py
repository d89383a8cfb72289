"""Ethernet frames, right and wrong, as bytes. Standard library only."""

import socket
import struct

BROADCAST = "ff:ff:ff:ff:ff:ff"
IPV4, ARP, IPV6, TAGGED, SERVICE_TAGGED, LLDP = 0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 0x88CC
REVERSE_ARP = 0x8035
NONE = "00:00:00:00:00:00"


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(source, target, kind, payload):
    """`kind`: an ethertype, or below 1536 the length of what follows (802.3)."""
    return mac_bytes(target) + mac_bytes(source) + struct.pack("!H", kind) + payload


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source, target, protocol, payload, offset=0, more=False, number=7):
    """`offset` in units of 8 bytes; with `more`, fragments follow."""
    def header(total):
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), number,
                           (0x2000 if more else 0) | offset, 64, protocol, total,
                           socket.inet_aton(source), socket.inet_aton(target))
    return header(checksum(header(0))) + payload


def udp(source_port, target_port, data):
    """Without a checksum, as IPv4 allows."""
    return struct.pack("!HHHH", source_port, target_port, 8 + len(data), 0) + data


def echo_request(number, data):
    def message(total):
        return struct.pack("!BBHHH", 8, 0, total, number, 1) + data
    return message(checksum(message(0)))


def arp(operation, sender_mac, sender, target_mac, target, trailer=b"",
        head=(1, IPV4, 6, 4)):
    """With bytes after it, as an Ethernet driver pads short frames."""
    return (struct.pack("!HHBBH", *head, operation) + mac_bytes(sender_mac)
            + socket.inet_aton(sender) + mac_bytes(target_mac) + socket.inet_aton(target) + trailer)


def ipv6(source, target, next_header, payload, hop_limit=255):
    return (struct.pack("!IHBB", 6 << 28, len(payload), next_header, hop_limit)
            + socket.inet_pton(socket.AF_INET6, source)
            + socket.inet_pton(socket.AF_INET6, target) + payload)


def checksum6(source, target, protocol, message):
    """Of a message with a pseudo header of IPv6 before it."""
    return checksum(socket.inet_pton(socket.AF_INET6, source)
                    + socket.inet_pton(socket.AF_INET6, target)
                    + struct.pack("!II", len(message), protocol) + message)


def icmpv6(source, target, kind, body, hop_limit=255):
    """A whole packet, with the checksum over its addresses."""
    def message(total):
        return struct.pack("!BBH", kind, 0, total) + body
    return ipv6(source, target, 58, message(checksum6(source, target, 58, message(0))), hop_limit)


def udp6(source, target, source_port, target_port, data, off_by=0):
    """A whole packet, with its checksum, or one that is wrong by so much."""
    def message(total):
        return struct.pack("!HHHH", source_port, target_port, 8 + len(data), total) + data
    right = checksum6(source, target, 17, message(0))
    return ipv6(source, target, 17, message((right + off_by) & 0xFFFF or 0xFFFF))


def fragment6(next_header, payload, offset=0, more=False, number=7):
    """A fragment header before a part of a packet; `offset` in units of 8 bytes."""
    return struct.pack("!BBHI", next_header, 0, offset << 3 | more, number) + payload


def options6(next_header, payload):
    """Options for the destination, one that pads, before a packet."""
    return struct.pack("!BB", next_header, 0) + b"\x01\x04\0\0\0\0" + payload


def dhcp_offer(server, offered, mac, marker):
    """A DHCP server's offer (RFC 2131) that makes `server` the router."""
    fixed = struct.pack("!BBBBIHH4s4s4s4s16s64s128s", 2, 1, 6, 0, 1, 0, 0x8000,
                        bytes(4), socket.inet_aton(offered), socket.inet_aton(server), bytes(4),
                        mac_bytes(mac), marker, b"")
    options = (b"\x63\x82\x53\x63\x35\x01\x02\x36\x04" + socket.inet_aton(server)
               + b"\x03\x04" + socket.inet_aton(server) + b"\xff")
    return udp(67, 68, fixed + options)


def dhcp_discover(mac, marker, relay="0.0.0.0", options=b""):
    fixed = struct.pack("!BBBBIHH4s4s4s4s16s64s128s", 1, 1, 6, 0, 1, 0, 0x8000, bytes(4), bytes(4),
                        bytes(4), socket.inet_aton(relay), mac_bytes(mac), marker, b"")
    return udp(68, 67, fixed + b"\x63\x82\x53\x63\x35\x01\x01" + options + b"\xff")
