"""Places for delivery and for the owner's tools are apart: neither can take the other's."""

import unittest

from box import Box
from sample import message
from wire import Line


class DeliveryPlaces(unittest.TestCase):
    def test_idle_deliveries_leave_the_owner_in(self):
        with Box("delivery-places") as box:
            idle = [Line(("127.0.0.1", box.lmtp_port)) for _ in range(4)]
            for c in idle:
                self.assertTrue(c.line().startswith(b"220"))
            fifth = Line(("127.0.0.1", box.lmtp_port))
            self.assertTrue(fifth.rest().startswith(b"421 4.3.2"))
            self.assertEqual(box.status()["connections"]["delivering"], 5)  # the tool itself is one
            idle[0].close()
            for _ in range(100):
                c = Line(("127.0.0.1", box.lmtp_port))
                if c.line().startswith(b"220"):
                    return
                c.close()
            self.fail("the place did not come back")

    def test_a_tool_without_a_place_says_so(self):
        """Whether the server closed before or after the tool had asked: several times."""
        with Box("tool-places", users=("anna",)) as box:
            held = []
            while True:
                c = Line(box.path("control"), timeout=0.5)
                held.append(c)
                try:
                    self.assertEqual(c.line(), b"ERR busy no place is free for another tool, try again\n")
                    break
                except TimeoutError:  # it has a place, and nothing to say
                    self.assertLess(len(held), 20)
            for _ in range(5):
                for command, code in (["status"], 1), (["deliver", "anna"], 75), (["check"], 2):
                    got = box.cubby(*command, input=message(1))
                    self.assertEqual(got.returncode, code, got.err)
                    self.assertIn("no place is free for another tool, try again\n", got.err)
            for c in held:
                c.close()
            for _ in range(100):
                if box.cubby("deliver", "anna", input=message(1)).returncode == 0:
                    return
            self.fail("the places did not come back")


if __name__ == "__main__":
    unittest.main()
