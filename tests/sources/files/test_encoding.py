"""Encodings that are told by nothing: the text itself has to show them."""

import pytest

from foretwin.errors import SourceError
from foretwin.sources.files.guess.encoding import guess_encoding

HEADS = {
    "de": ("cp1252", "Maschine;Zeit;Temp [°C]\n"),
    "de letters": ("latin-1", "Gerät;Zeit;Öl-Temperatur [°C];Störung;Größe [m²]\n"),
    "fr": ("cp1252", "machine;durée;température [°C];débit [m³/h];arrêt forcé\n"),
    "es": ("cp1252", "máquina;día;presión;avería;señal\n"),
    "ru": ("cp1251", "Машина;Время;Температура подшипника;Давление масла;Отказ\n"),
    "ja": ("shift_jis", "機械;時刻;軸受温度;油圧;故障\n"),
    "zh": ("gb18030", "设备编号;采集时间;轴承温度;油压;故障标志\n"),
    "el": ("cp1253", "Μηχανή;Χρόνος;Θερμοκρασία;Πίεση;Βλάβη\n"),
}


@pytest.mark.parametrize("language", HEADS)
def test_the_text_is_the_same_in_the_encoding_that_is_found(tmp_path, language):
    encoding, head = HEADS[language]
    text = head + "M-1;0;1,5;2;0\n" * 50
    (tmp_path / "export.csv").write_bytes(text.encode(encoding))
    found, remark = guess_encoding(tmp_path / "export.csv", "export.csv")
    assert text.encode(encoding).decode(found) == text
    assert "not UTF-8" in remark


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "export.bin").write_bytes(bytes(range(256)))
    with pytest.raises(SourceError, match="neither CSV"):
        guess_encoding(tmp_path / "export.bin", "export.bin")
