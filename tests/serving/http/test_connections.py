"""Who gives way to whom."""

from foretwin.serving.http.connections import ConnectionLimits, Connections, recognise_caller, site_of


class Crowd:
    """Connections by name, and the names of those that had to go."""

    def __init__(self, total=3, per_address=100, **more):
        self.connections = Connections(ConnectionLimits(total, per_address), **more)
        self.gone = []

    def enter(self, name, address=None):
        return self.connections.enter(address or f"{name}.address", lambda: self.gone.append(name))


def test_the_one_that_waits_longest_gives_way():
    crowd = Crowd()
    first, _, _ = (crowd.enter(name) for name in "abc")
    first.work()
    first.wait()
    crowd.enter("d")
    crowd.enter("e")
    assert crowd.gone == ["b", "c"]


def test_a_call_that_is_being_answered_never_does():
    crowd = Crowd()
    for name in "abc":
        crowd.enter(name).work()
    assert crowd.enter("d") is None
    assert crowd.gone == []


def test_one_with_a_key_goes_last():
    crowd = Crowd()
    scope = {"foretwin.known": crowd.enter("a").recognise}
    recognise_caller(scope)
    recognise_caller({})
    crowd.enter("b")
    crowd.enter("c").work()
    crowd.enter("d")
    crowd.enter("e").work()
    crowd.enter("f")
    assert crowd.gone == ["b", "d", "a"]


def test_one_that_is_recognised_while_it_is_answered_waits_afterwards_as_a_known_one():
    crowd = Crowd(total=2)
    known = crowd.enter("a")
    known.work()
    known.recognise()
    known.wait()
    crowd.enter("b")
    crowd.enter("c")
    assert crowd.gone == ["b"]


def test_an_address_that_has_its_share_loses_its_own():
    crowd = Crowd(total=10, per_address=2)
    crowd.enter("other")
    for name in "abc":
        crowd.enter(name, "10.0.0.1")
    assert crowd.gone == ["a"]


def test_who_leaves_makes_room_once():
    crowd = Crowd(total=2, per_address=1)
    place = crowd.enter("a", "10.0.0.1")
    place.leave()
    place.leave()
    place.wait()
    crowd.enter("b", "10.0.0.1")
    crowd.enter("c")
    assert crowd.gone == []
    crowd.enter("d")
    assert crowd.gone == ["b"]


def test_a_proxy_has_no_share_of_its_own():
    crowd = Crowd(total=5, per_address=1, is_proxy=lambda address: address == "10.0.0.1")
    for name in "abc":
        crowd.enter(name, "10.0.0.1")
    assert crowd.gone == []


def test_a_limit_that_is_reached_is_told_once(caplog):
    crowd = Crowd(total=2)
    for name in "abcdef":
        crowd.enter(name)
    (record,) = caplog.records
    assert "2 connections" in record.getMessage()


def test_an_ipv6_site_counts_as_one_client():
    assert site_of("2001:db8::1") == site_of("2001:db8::ffff:1") != site_of("2001:db8:0:1::1")
    assert site_of("::ffff:10.0.0.1") == site_of("10.0.0.1") != site_of("10.0.0.2")
    assert site_of("fe80::1%eth0") == site_of("fe80::2")
    assert site_of("no address") == "no address"


def test_a_stream_takes_no_place_of_the_others_and_there_are_a_tenth_as_many():
    crowd = Crowd(total=40, per_address=20)
    streams = [crowd.enter(name, "one") for name in "abc"]
    for place in streams:
        place.work()
    assert [place.stream(print, "one") for place in streams] == [True, True, False]
    assert all(crowd.enter(str(i), "one") for i in range(19)), "the third is still one of the twenty"
    assert crowd.gone == []
    crowd.enter("next", "one")
    assert crowd.gone == ["0"]
    streams[0].leave()
    assert streams[2].stream(print, "one")
    many = [crowd.enter(f"other {i}", f"address {i}") for i in range(3)]
    assert [place.stream(print, f"address {i}") for i, place in enumerate(many)] == [True, True, False]
