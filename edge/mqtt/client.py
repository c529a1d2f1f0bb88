"""How one is let in at the broker: name, password, TLS. The same for the device and for whoever asks it."""

import ssl

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTProtocolVersion

from edge.config import MqttConfig
from edge.errors import ConfigError

VERSIONS = {True: MQTTProtocolVersion.MQTTv5, False: MQTTProtocolVersion.MQTTv311}


def client_of(config: MqttConfig, client_id: str = "", *, version_5: bool = False) -> Client:
    """A client that has what the configuration gives it, not connected yet.

    With ca_file, the broker must show a certificate of that authority for the configured host; without, nothing is
    encrypted. Raises ConfigError that names the file that cannot be used.
    """
    clean = {} if version_5 else {"clean_session": True}
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=VERSIONS[version_5], **clean)
    if config.username:
        client.username_pw_set(config.username, config.password())
    if config.ca_file is None:
        if config.certificate_file is not None or config.key_file is not None:
            raise ConfigError("mqtt.certificate_file and mqtt.key_file need mqtt.ca_file: without it there is no TLS")
        return client
    try:
        context = ssl.create_default_context(cafile=str(config.ca_file))
        if config.certificate_file is not None:
            context.load_cert_chain(config.certificate_file, config.key_file)
    except (OSError, ssl.SSLError) as error:
        files = f"mqtt.ca_file {config.ca_file}"
        if config.certificate_file is not None:
            files += f", mqtt.certificate_file {config.certificate_file} or mqtt.key_file {config.key_file}"
        raise ConfigError(f"{files} cannot be used: {error}") from error
    client.tls_set_context(context)
    return client
