"""MQTT: the device's side and the household's side of a broker.

Device:     device_link (what the runtime uses) > fair_queue, inbox (what came in)
            device_link > outbound (queues, what is under way) > states, suspects
Household:  controller > blame (why there is no answer)
Both:       network (the one thread, backoff) > client (all of paho) > reports, limits; journal (lines of the log)
"""
