"""Places for delivery and for the owner's tools are apart: neither can take the other's."""

import unittest

from box import Box
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


if __name__ == "__main__":
    unittest.main()
