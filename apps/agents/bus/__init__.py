"""Messages between agents: channels, groups of readers, requests with replies.

What is promised, for each group of readers of a channel:

- **At least once.** A message that was published is delivered until a reader acknowledges it, whatever dies meanwhile.
- **In order** of the channel, as long as nothing fails and one reader reads; what is delivered again comes late.
- **Acknowledged is over.** A message that was acknowledged is not delivered to that group again.
- **Recognisable.** A message delivered twice has the same id, and says how often it was delivered.
- **Published once** under one idempotency key, which is what a new attempt of a node has.

How, with Postgres as the truth and Redis as the one that wakes:

1. Publishing is one transaction: it locks the channel's row, takes the next `seq`, and writes the message and one
   delivery for each group. So the order of `seq` is the order of the commits, and no reader ever finds an older message
   behind a newer one. A group that comes later gets its deliveries when it is made, under the same lock.
2. After the commit, `seq` goes into a Redis stream (one for each organization and channel, trimmed). Its consumer
   groups give each entry to one waiting reader of each group. An entry says only that there is something: who can
   write to Redis can wake readers, and can neither forge a message nor read one.
3. A woken reader claims the first pending delivery in its row, with a lease (`for update skip locked`). The lease is
   the pending list: when it ends unacknowledged, the next reader that looks takes the message, and the count of
   deliveries goes up. A second list of the same in Redis would be lost with Redis, so entries are read with NOACK and
   there is nothing to XAUTOCLAIM. Delivered `max_deliveries` times, it becomes a dead letter, for people.
4. Readers look into the rows every LOOK_SECONDS also when nobody wakes them: entries may be lost, and leases end
   silently. With Redis dead that is all there is, and nothing but time is lost. After a FLUSHALL the first reader makes
   the consumer group again and fills the stream from the rows.
5. Acknowledging is one UPDATE of the delivery. Messages that have expired are deleted by the leading worker.

Here is what a message is made of, without the database, as `orchestra.sdk` is imported without settings; `exchange`
has what is done with messages.
"""

from apps.agents.bus.messages import BROADCAST, Message, NoReply, Options, Sender, Signal

__all__ = ["BROADCAST", "Message", "NoReply", "Options", "Sender", "Signal"]
